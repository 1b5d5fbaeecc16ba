"""What one writes first: FastAPI, httpx, the body parsed once. The yardstick; it does nothing but forward."""

import sys
from collections.abc import AsyncIterator

import httpx
import uvicorn
from fastapi import FastAPI, Request, Response
from fastapi.responses import StreamingResponse

app = FastAPI()
client = httpx.AsyncClient(base_url=sys.argv[2], timeout=None)


@app.post("/v1/chat/completions")
async def forward(request: Request) -> Response:
    """Forward one chat completion, streamed or whole."""
    body = await request.json()
    if not body.get("stream"):
        answer = await client.post("/v1/chat/completions", json=body)
        return Response(answer.content, answer.status_code, media_type="application/json")
    sent = await client.send(client.build_request("POST", "/v1/chat/completions", json=body), stream=True)

    async def chunks() -> AsyncIterator[bytes]:
        async for chunk in sent.aiter_raw():
            yield chunk
        await sent.aclose()

    return StreamingResponse(chunks(), sent.status_code, media_type="text/event-stream")


if __name__ == "__main__":
    uvicorn.run(app, port=int(sys.argv[1]), log_level="warning", access_log=False, loop="uvloop", http="httptools")
