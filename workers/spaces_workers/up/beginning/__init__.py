"""What `zerofarm up` does before it imports the rest of itself, which takes half a second."""
