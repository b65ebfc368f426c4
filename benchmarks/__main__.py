"""Runs every benchmark: `python -m benchmarks`; a single one: `python -m benchmarks.kernel`."""

from benchmarks import kernel, study_remap

for benchmark in (study_remap, kernel):
    print(f"\n{(benchmark.__doc__ or '').splitlines()[0]}\n")
    benchmark.main()
