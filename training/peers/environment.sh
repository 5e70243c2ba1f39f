# The peers' Python, in $environment; to be sourced from the project's top folder.

# One thread and no chance: the same numbers on every run.
export OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 PYTHONHASHSEED=0 PYTHONDONTWRITEBYTECODE=1
export PYTHONPATH=training

environment=target/quality/venv
[ -d "$environment" ] || python3 -m venv "$environment"
"$environment/bin/pip" install --quiet --disable-pip-version-check -r training/peers/requirements.txt
