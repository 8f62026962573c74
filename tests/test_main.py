"""`au-jax train`: fields are listed as they are set, and a workdir is asked for."""


def test_the_fields_are_listed_as_they_are_set_and_need_no_workdir(command):
    done = command("au_jax", "train", "--config=demo", "--fields", "--config.cnn.epochs=7")
    assert "--config.cnn.epochs=7    (default: 15)" in done.stdout
    refused = command("au_jax", "train", "--config=demo")
    assert refused.returncode == 1 and "flag --workdir must have a value" in refused.stderr
