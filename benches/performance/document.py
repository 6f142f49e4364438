def write(figures, out):
    import json; print(json.dumps(figures, indent=1))
