"""What `bench/run.py` is made of. It imports none of the measured libraries."""
