"""A Space without Gradio: a websocket that calls a GPU function for each word."""

import spaces
import uvicorn
from fastapi import FastAPI, WebSocket, WebSocketDisconnect
from starlette.concurrency import run_in_threadpool

app = FastAPI()


@spaces.GPU
def shout(text):
    return text.upper()


@app.get("/")
def root():
    return {"page": "sockets"}


@app.websocket("/talk")
async def talk(socket: WebSocket):
    await socket.accept()
    try:
        while True:
            await socket.send_text(await run_in_threadpool(shout, await socket.receive_text()))
    except WebSocketDisconnect:
        pass


if __name__ == "__main__":
    uvicorn.run(app, port=7860)
