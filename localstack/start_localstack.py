"""Starts LocalStack in this process, without two of its habits that would reach other people; and quicker."""

import functools
import os
import sys

from twisted.internet import endpoints

# It takes the port from GATEWAY_LISTEN, but listens on every address of the machine.
endpoints.TCP4ServerEndpoint = functools.partial(endpoints.TCP4ServerEndpoint, interface="127.0.0.1")

from localstack.services.s3 import provider

# It keeps objects in one fixed directory of /tmp, which two LocalStacks (or two users) would fight over.
provider.DEFAULT_S3_TMP_DIR = os.path.join(os.environ["FILESYSTEM_ROOT"], "objects")

from localstack import config

# Where setup.sh put the list of AWS operations, which takes seconds to compile; LocalStack looks for it here.
config.dirs.static_libs = os.path.join(sys.prefix, "localstack/usr/lib/localstack")

from localstack.runtime import main

main.main()
