"""The stream of a task: its worker writes events to it, its caller reads them."""
