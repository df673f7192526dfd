"""What the tests' own proxies have in common."""

import socket
import threading


def listen(serve):
    """Calls `serve(connection)` for each that comes, each in a thread of its own. Returns the listening socket, which ends
    it when it is closed."""
    listener = socket.create_server(("127.0.0.1", 0))

    def accept():
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=serve, args=(connection,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    return listener


def shut(*sockets):
    """Ends both directions, also under a thread that reads."""
    for one in sockets:
        try:
            one.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
