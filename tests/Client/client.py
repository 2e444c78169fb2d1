"""Runs the stock openstack client, one command per line of standard input.

Loading the client takes seconds, so it is loaded once and every command runs in a fork: with the state of a new process, without its start. A line is
{"argv": [...], "env": {...}}, where an empty value unsets a variable; the answer is a line {"code": ..., "out": "...", "err": "..."}.
"""
import json
import os
import sys
import tempfile

from openstackclient import shell


def load():
    # Every command's module and what it imports, so that the forks have them.
    import importlib.metadata
    app = shell.OpenStackShell()
    del app
    wanted = ('openstack.compute.v2', 'openstack.image.v2', 'openstack.volume.v3', 'openstack.identity.v3', 'openstack.common', 'openstack.cli.base')
    for group, points in importlib.metadata.entry_points().items():
        if group in wanted or group == 'keystoneauth1.plugin':
            for point in points:
                try:
                    point.load()
                except ImportError:
                    pass


def run(command):
    out, err = tempfile.TemporaryFile(), tempfile.TemporaryFile()
    child = os.fork()
    if child == 0:
        code = 70
        try:
            os.dup2(out.fileno(), 1)
            os.dup2(err.fileno(), 2)
            os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
            sys.stdin = open(0)
            sys.stdout = open(1, 'w', encoding='utf-8', closefd=False)
            sys.stderr = open(2, 'w', encoding='utf-8', closefd=False)
            for name, value in command.get('env', {}).items():
                if value:
                    os.environ[name] = value
                else:
                    os.environ.pop(name, None)
            try:
                code = shell.main(command['argv'])
            except SystemExit as e:
                code = e.code if isinstance(e.code, int) else 1
            sys.stdout.flush()
            sys.stderr.flush()
        finally:
            os._exit(code if isinstance(code, int) else 1)
    _, status = os.waitpid(child, 0)

    def text(file):
        file.seek(0)
        return file.read().decode('utf-8', 'replace')

    return {'code': os.waitstatus_to_exitcode(status), 'out': text(out), 'err': text(err)}


def main():
    load()
    answers = os.fdopen(os.dup(1), 'w')
    print('{"ready": true}', file=answers, flush=True)
    for line in sys.stdin:
        print(json.dumps(run(json.loads(line))), file=answers, flush=True)


main()
