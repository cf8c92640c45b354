from keras_fgvc import data
from keras_fgvc.cli import main


def test_the_table(capsys):
    assert main(["datasets"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert {len(line) for line in lines} == {80}
    assert "| cub200 " in "".join(lines)
    for fact in ("source:", "licence:", "how to get it:"):
        told = sum(line.startswith(f"|   {fact}") for line in lines)
        assert told == len(data.available())
    first_cells = {line.split("|")[1].strip() for line in lines}
    for name in data.available():
        assert any(cell.startswith(name[:17]) for cell in first_cells)


def test_one_of_them(photographs, capsys):
    assert main(["datasets", "--name=cub200"]) == 0
    assert capsys.readouterr().out.startswith("cub200: 200 classes")
    assert main(["datasets", f"--name={photographs}"]) == 0
    assert "3 classes" in capsys.readouterr().out
    assert main(["datasets", "--name=celeb_a/Nose"]) == 1
    assert "`variant` must be one of" in capsys.readouterr().err
