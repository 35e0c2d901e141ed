"""The variables that the farm sets itself, and the meaning of other programs' variables that it reads."""

from __future__ import annotations

#: Our variables that the farm sets itself.
INNER = (
    *(
        "ZEROFARM_ROLE",
        "ZEROFARM_SPACE",
        "ZEROFARM_SPACE_KEY",
        "ZEROFARM_PAGE",
        "ZEROFARM_PAGE_SOCKET",
        "ZEROFARM_BUILD_LOG",
        "ZEROFARM_KEEP_FILES",
        "ZEROFARM_GATES",
    ),
    *("ZEROFARM_DOOR", "ZEROFARM_SIZE", "ZEROFARM_FOLLOWS_LOG", "ZEROFARM_PIP_LOCKED", "ZEROFARM_STARTED_BY"),
)

#: Variables of other programs that the farm reads.
OTHERS = {
    "REDIS_URL": "The broker of the farm, instead of one that `zerofarm up` starts. Or as a file.",
    "FLOWER_BASIC_AUTH": "Flower's login, `user:password`, instead of that in `flower.login` in the state directory.",
    "OTEL_EXPORTER_OTLP_ENDPOINT": "The collector that traces are written to: [tracing.md](../tracing.md).",
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "The same for traces alone.",
    "OTEL_EXPORTER_OTLP_HEADERS": "Headers for that place, such as a token. Only the home page gets them.",
    "OTEL_EXPORTER_OTLP_TRACES_HEADERS": "The same for traces alone.",
    "OTEL_TRACES_EXPORTER": "`otlp` turns traces on, `none` off.",
    "OTEL_SDK_DISABLED": "`true` turns traces off.",
    "HF_TOKEN": "Opens private repositories of the Hub, for `zerofarm add hf:OWNER/NAME` and for Spaces.",
    "CUDA_VISIBLE_DEVICES": "The GPUs that `--gpus auto` takes.",
    "HF_HOME": "The operator's cache of the Hugging Face Hub, for `hub_cache` under `[isolation]`.",
    "GRADIO_TEMP_DIR": "Where each Space gets a folder of its own for files of visitors, instead of in `TMPDIR`.",
    "SPACES_GRADIO_AUTO_WRAP": "`true`: event handlers without `@spaces.GPU` become GPU functions too, as on ZeroGPU.",
    "PIP_INDEX_URL": "The index for packages of Spaces, where uv's own variable is not set.",
    "PIP_EXTRA_INDEX_URL": "More such indexes.",
    "PIP_FIND_LINKS": "Folders and pages with packages for Spaces, in the same way.",
    "NOTIFY_SOCKET": "systemd's socket: it is told when a farm or a worker is ready, or drained.",
    "SUDO_USER": "The user who `zerofarm audit` names, where a command runs by sudo.",
    "XDG_STATE_HOME": "The folder of the state directory, where no option names one.",
    "XDG_CACHE_HOME": "The folder of compiled models outside of a farm, and of the Hub's cache.",
    "HOME": "The folder that has both, where they are not set.",
    "TMPDIR": "The folder of temporary files, of which a separated Space has its own.",
}
