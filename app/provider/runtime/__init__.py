"""One engine process: started, asked, watched, restarted."""
