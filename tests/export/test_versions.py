from keras_fgvc import export


def test_next_version_is_one_more_than_the_highest(tmp_path):
    folder = tmp_path / "birds"
    assert export.next_version(folder) == folder / "1"
    for name in ("2", "10", "partial-11", "notes"):
        (folder / name).mkdir(parents=True)
    assert export.next_version(str(folder)) == folder / "11"
