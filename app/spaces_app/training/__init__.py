"""Scripts that made the models of the bundled demos. Run by hand; the farm itself never imports them."""
