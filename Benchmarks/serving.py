"""A package served by the coordinator, beside the same file served by nginx."""

import hashlib
import os
import pathlib
import shutil
import statistics
import subprocess
import time

from market import Failure, Market

NGINX = """
daemon off; master_process off; pid {folder}/nginx.pid; error_log {folder}/error.log;
events {{ worker_connections 64; }}
http {{
  access_log off; sendfile on; tcp_nopush on; types {{ }} default_type application/zip;
  client_body_temp_path {folder}/a; proxy_temp_path {folder}/b; fastcgi_temp_path {folder}/c;
  uwsgi_temp_path {folder}/d; scgi_temp_path {folder}/e;
  server {{ listen 127.0.0.1:{port}; root {folder}/root; }}
}}
"""


def package(market, mib):
    """A finished job with `mib` MiB of random bytes; its id."""
    client = market.client()
    body = {"command": ["sh", "-c", f"head -c {mib}M /dev/urandom > $AITBC_OUTPUT_DIR/noise.bin"]}
    job = client.ask("POST", "/v1/jobs", body, 201)["job_id"]
    end = time.monotonic() + 300
    while client.ask("GET", f"/v1/jobs/{job}")["status"] not in ("completed", "failed", "expired", "lost"):
        if time.monotonic() > end:
            raise Failure("the job did not end")
        time.sleep(0.1)
    client.close()
    return job


def fetch(url, *options):
    """Seconds to the first byte, seconds in all, as curl tells."""
    text = subprocess.run(
        ["curl", "-sS", "--fail", "-o", "/dev/null", "-w", "%{time_starttransfer} %{time_total}", *options, url],
        check=True, capture_output=True, text=True).stdout
    first, whole = text.split()
    return float(first), float(whole)


def free_port():
    import socket
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        return server.getsockname()[1]


def start_nginx(folder):
    binary = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    if not binary:
        return None, None
    port = free_port()
    (folder / "nginx.conf").write_text(NGINX.format(folder=folder, port=port))
    process = subprocess.Popen([binary, "-c", folder / "nginx.conf", "-p", folder], stderr=subprocess.DEVNULL)
    url = f"http://127.0.0.1:{port}/output.zip"
    for _ in range(200):
        try:
            fetch(url, "-r", "0-0")
            return process, url
        except subprocess.CalledProcessError:
            time.sleep(0.05)
    raise Failure("nginx did not come up")


def measure(aitbc, folder, mib, rounds):
    with Market(aitbc, slots=1) as market:
        job = package(market, mib)
        ours = f"http://127.0.0.1:{market.port}/v1/jobs/{job}/download"
        key = ("-H", f"X-Api-Key: {market.key}")
        root = folder / "root"
        root.mkdir()
        subprocess.run(["curl", "-sS", "--fail", "-o", root / "output.zip", *key, ours], check=True)
        process, theirs = start_nginx(folder)
        try:
            samples = {"aitbc": [], "nginx": []}
            for _ in range(max(rounds, 1) * 3):
                samples["aitbc"].append(fetch(ours, *key))
                if theirs:
                    samples["nginx"].append(fetch(theirs))
        finally:
            if process:
                process.terminate()
                process.wait()
        firsts = [fetch(ours, *key, "-r", "0-0")[0] for _ in range(30)]
    print(f"\n| serving {mib} MiB on loopback | speed | first byte |\n|---|---|---|")
    speeds = {}
    for name, values in samples.items():
        if values:
            speeds[name] = mib / statistics.median(whole for _, whole in values)
            first = 1000 * statistics.median(first for first, _ in values)
            print(f"| {name} | {speeds[name]:,.0f} MiB/s | {first:.1f} ms |")
    if "nginx" in speeds:
        print(f"\nServing: {100 * speeds['aitbc'] / speeds['nginx']:.0f} % of nginx (wanted: 80). ", end="")
    print(f"First byte of a range: median {1000 * statistics.median(firsts):.1f} ms (allowed: 5).", flush=True)
