"""Tomorrow's weather: Starlette, in a virtual environment that holds nothing else."""
