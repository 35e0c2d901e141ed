import os

import spaces
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

EXPORTER = InMemorySpanExporter()
PROVIDER = TracerProvider()
PROVIDER.add_span_processor(BatchSpanProcessor(EXPORTER))


def compute():
    EXPORTER.clear()
    with PROVIDER.get_tracer("test").start_as_current_span("work"):
        pass
    PROVIDER.force_flush(5000)
    return [span.name for span in EXPORTER.get_finished_spans()]


FIRST = compute()


@spaces.GPU(duration=20)
def check():
    return FIRST, compute(), len(os.listdir("/proc/self/task"))
