"""The one table of tolerances: how far two correct results may differ."""

TOLERANCES = {
    "float64": {"rtol": 1e-9, "atol": 1e-10},
    "float32": {"rtol": 1e-5, "atol": 1e-5},
    "float16": {"rtol": 4e-3, "atol": 4e-3},
    "bfloat16": {"rtol": 3e-2, "atol": 3e-2},
}
