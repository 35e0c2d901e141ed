"""A Space whose author writes traces, to the collector at $TRACED_COLLECTOR."""

import os

import gradio as gr
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

import spaces

provider = TracerProvider(resource=Resource.create({"service.name": "traced"}))
provider.add_span_processor(
    BatchSpanProcessor(OTLPSpanExporter(os.environ["TRACED_COLLECTOR"]), schedule_delay_millis=100)
)
trace.set_tracer_provider(provider)
tracer = trace.get_tracer(__name__)


@spaces.GPU
def paint(colour):
    with tracer.start_as_current_span("mix"):
        return f"{colour} paint"


def click(colour):
    with tracer.start_as_current_span("click"):
        return paint(colour)


demo = gr.Interface(click, "text", "text", api_name="click")
demo.launch()
