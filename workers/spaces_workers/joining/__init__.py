"""One more host joins a farm: its token, what the token opens, and what the host keeps."""
