"""Watches the address of a WHEP endpoint with aiortc until some frames of both tracks are decoded, and prints them as JSON."""

import array
import asyncio
import json
import sys
import urllib.request

from aiortc import RTCPeerConnection, RTCSessionDescription

# The clip has a beep each second: fewer packets of 20 ms could all lie between two of them.
FRAMES = {"video": 40, "audio": 75}


def post(url, offer):
    request = urllib.request.Request(url, offer.encode(), {"Content-Type": "application/sdp"}, method="POST")
    with urllib.request.urlopen(request) as answer:
        return answer.read().decode()


async def watch(track):
    frames = [await track.recv() for _ in range(FRAMES[track.kind])]
    last = frames[-1]
    seen = {"kind": track.kind, "times_grow": all(a.pts < b.pts for a, b in zip(frames, frames[1:]))}
    if track.kind == "video":
        return seen | {"width": last.width, "height": last.height}
    samples = [sample for frame in frames for sample in array.array("h", bytes(frame.planes[0]))]
    return seen | {"rate_hz": last.sample_rate, "loudest": max(samples)}


async def main(url):
    peer, tracks = RTCPeerConnection(), []
    peer.on("track", tracks.append)
    for kind in ("video", "audio"):
        peer.addTransceiver(kind, direction="recvonly")
    await peer.setLocalDescription(await peer.createOffer())
    answer = await asyncio.to_thread(post, url, peer.localDescription.sdp)
    await peer.setRemoteDescription(RTCSessionDescription(answer, "answer"))
    print(json.dumps(await asyncio.gather(*map(watch, tracks))))
    await peer.close()


asyncio.run(main(sys.argv[1]))
