"""What a plain mm config needs and this machine lacks, found before anything is built."""
