"""The benchmark of the Bayesian loss times two losses that are equal."""


def test_the_benchmark_compares_equal_losses(tool):
    done = tool("research/benchmark_bayesian_loss.py", "--points", 60, "--rounds", 1)
    assert done.returncode == 0, done.stderr
    rows = [line for line in done.stdout.splitlines() if line.startswith("| ") and "60" in line]
    assert len(rows) == 6
    for row in rows:
        *_, dense_memory, our_memory, error, _ = (cell.strip() for cell in row.split("|"))
        assert float(error) < 1e-4
        assert 0 < float(our_memory) < float(dense_memory)
