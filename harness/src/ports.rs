//! A loopback port that is ours before the program that will listen on it runs.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpListener, TcpSocket};

/// How many connections may wait to be accepted, as tokio's own listeners have it.
const BACKLOG: u32 = 1024;

/// A TCP port on 127.0.0.1, held until this is dropped.
///
/// kube-apiserver must be told its port, and "bind to 0, close, hope" loses a race now and then.
/// Here the socket stays open: bound with `SO_REUSEPORT` and never listening, it takes no
/// connection, yet nobody else gets the port, neither another process (another user never,
/// this user only by asking for `SO_REUSEPORT` too) nor the kernel for an outgoing connection.
/// kube-apiserver binds beside it with `--permit-port-sharing` (Kubernetes 1.20 and later).
#[derive(Debug)]
pub struct Port {
    number: u16,
    _held: Socket,
}

impl Port {
    /// Takes a free port.
    pub fn reserve() -> io::Result<Self> {
        Self::held_by(|socket| socket.set_reuse_port(true))
    }

    /// Takes a free port for a program that knows nothing of us. On Linux it may listen beside the
    /// socket that holds the port if it sets `SO_REUSEADDR`, as the servers of Go, Java, Node, Python
    /// and Rust do: two such sockets do not conflict as long as one of them does not listen
    /// (`net/ipv4/inet_connection_sock.c`, `inet_csk_bind_conflict`).
    pub fn reserve_for_another() -> io::Result<Self> {
        Self::held_by(|socket| socket.set_reuse_address(true))
    }

    fn held_by(how: impl FnOnce(&Socket) -> io::Result<()>) -> io::Result<Self> {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP))?;
        how(&socket)?;
        socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into())?;
        let number = socket
            .local_addr()?
            .as_socket_ipv4()
            .ok_or_else(|| io::Error::other("not an IPv4 socket"))?
            .port();
        Ok(Self {
            number,
            _held: socket,
        })
    }

    /// Listens on it, beside the socket that holds it. Once that listener is closed, whoever
    /// connects is refused again, and the port is still ours.
    ///
    /// Belongs on a runtime, which the listener then lives on.
    pub(crate) fn listen(&self) -> io::Result<TcpListener> {
        let socket = TcpSocket::new_v4()?;
        socket.set_reuseport(true)?;
        // What is left of closed connections must not keep it from listening a second time.
        socket.set_reuseaddr(true)?;
        socket.bind(SocketAddr::from((Ipv4Addr::LOCALHOST, self.number)))?;
        socket.listen(BACKLOG)
    }

    /// Its number.
    pub fn number(&self) -> u16 {
        self.number
    }
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::*;

    #[test]
    fn a_reserved_port_is_refused_to_others() {
        let port = Port::reserve().expect("must be reserved");
        let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, port.number()));
        assert_eq!(
            taken.expect_err("must be refused").kind(),
            io::ErrorKind::AddrInUse
        );
    }

    #[test]
    fn a_port_for_another_is_its_own() {
        let port = Port::reserve_for_another().expect("must be reserved");
        let others: Vec<_> = std::iter::repeat_with(|| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)))
            .take(100)
            .map(|it| {
                it.expect("must listen")
                    .local_addr()
                    .expect("must be bound")
            })
            .collect();
        assert!(others.iter().all(|other| other.port() != port.number()));
        // The standard library sets SO_REUSEADDR.
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port.number()));
        let listener = listener.expect("must be given to it");
        let _client = TcpStream::connect(listener.local_addr().expect("must be bound"));
        listener.accept().expect("must be accepted");
    }

    #[test]
    fn whoever_shares_it_gets_every_connection() {
        let port = Port::reserve().expect("must be reserved");
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("must be made");
        socket.set_reuse_port(true).expect("must be set");
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port.number()));
        socket.bind(&address.into()).expect("must be shared");
        socket.listen(64).expect("must listen");
        let listener = TcpListener::from(socket);
        for _ in 0..32 {
            let _client = TcpStream::connect(address).expect("must connect");
            listener.accept().expect("must be accepted");
        }
    }
}
