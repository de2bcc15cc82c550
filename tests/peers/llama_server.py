"""Serves a model with llama.cpp's own server (from the package xllamacpp) until stdin ends; prints its address first.

    python llama_server.py MODEL
"""

import sys

import xllamacpp


def main(model):
    params = xllamacpp.CommonParams()
    params.model.path = model
    params.hostnames = ["127.0.0.1"]
    params.port = 0
    params.n_ctx = 16384
    params.n_predict = 64
    params.cpuparams.n_threads = 1
    params.chat_template = "chatml"
    params.model_alias = {"tiny"}
    server = xllamacpp.Server(params)
    print(server.listening_address, flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main(sys.argv[1])
