#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# mpirun.sh ARGUMENT...: OpenMPI's mpirun on few cores, also as root; exit code 77 where there is none.
if ! command -v mpirun >/dev/null; then
  echo "no mpirun here (Debian: apt-get install openmpi-bin)" >&2
  exit 77
fi
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
exec mpirun --oversubscribe --bind-to none "$@"
