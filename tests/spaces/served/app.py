"""A Space on `gr.Server`, launched inside a function."""

import gradio as gr

import spaces

server = gr.Server()


@server.api(name="shout")
@spaces.GPU
def shout(text: str) -> str:
    return text.upper()


@server.get("/")
def root():
    return {"hello": "world"}


def main():
    server.launch(server_port=9999, share=True)


main()
