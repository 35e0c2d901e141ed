"""Sleep of a child: its tensors leave the device for host memory, and come back as the same objects."""
