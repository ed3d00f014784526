"""What lives as long as the application: started before the first answer, or just after it."""
