"""Workers: jobs and objectives for other processes, and starting, watching and replacing these processes."""
