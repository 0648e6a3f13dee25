import Glibc
import Testing
import TunnelCore
import TunnelIO

@Suite struct ListenerTests {
    @Test func portZeroBecomesARealOne() throws {
        let listener = try Listener(.loopback(0), isShared: false)
        #expect(listener.address.port > 0)
        _ = try connect(to: listener.address)
    }

    @Test func anUsedPortIsRefused() throws {
        let listener = try Listener(.loopback(0), isShared: false)
        let error = #expect(throws: IOError.self) { try Listener(listener.address, isShared: false) }
        #expect(error?.code == .system(EADDRINUSE))
        #expect(error?.description == "bind: address already in use")
    }

    /// Only where both agree to share: a second program would take half of the connections unseen.
    @Test(arguments: [(true, false), (false, true), (false, false)])
    func whoDoesNotShareIsAlone(_ first: Bool, _ second: Bool) throws {
        let listener = try Listener(.loopback(0), isShared: first)
        let error = #expect(throws: IOError.self) { try Listener(listener.address, isShared: second) }
        #expect(error?.code == .system(EADDRINUSE))
        withExtendedLifetime(listener) {}
    }

    @Test func sharedListenersTakeOnePort() throws {
        let first = try Listener(.loopback(0), isShared: true)
        let second = try Listener(first.address, isShared: true)
        #expect(second.address == first.address)
        // The kernel spreads by the client's port: with 64 of them neither listener stays without.
        let clients = try (0..<64).map { _ in try connect(to: first.address) }
        var counts = [0, 0]
        for (index, listener) in [first, second].enumerated() {
            while isReadable(listener.descriptor) {
                _ = try listener.accept()
                counts[index] += 1
            }
        }
        #expect(counts[0] > 0 && counts[1] > 0)
        #expect(counts[0] + counts[1] == clients.count)
    }

    @Test func aClosedListenersPortIsFreeAtOnce() throws {
        let address = try Listener(.loopback(0), isShared: false).address
        #expect(try Listener(address, isShared: false).address == address)
    }

    @Test func theIPv6WildcardTakesIPv4() throws {
        let listener = try Listener(.ip(IPAddress(v6High: 0, low: 0), port: 0), isShared: false)
        _ = try connect(to: .loopback(listener.address.port))
        let peer = try listener.accept()
        peer.send("x")
    }

    @Test func aUnixSocketsFileGoesWithItsListener() throws {
        let path = temporaryPath()
        do {
            let listener = try Listener(.unix(path: path), isShared: false)
            #expect(listener.address == .unix(path: path))
            #expect(isThere(path))
        }
        #expect(!isThere(path))
    }

    /// Another server's file has come to the path since: it stays, also where it is one that looks the same.
    @Test func anotherServersFileStays() throws {
        let path = temporaryPath()
        defer { unlink(path) }
        var first: Listener? = try Listener(.unix(path: path), isShared: false)
        unlink(path)
        let second = try Listener(.unix(path: path), isShared: false)
        #expect(first != nil)
        first = nil
        #expect(isThere(path))
        withExtendedLifetime(second) {}
    }

    /// Once it is closed, another server may take the path for stale and bind its own. A client that waits to be
    /// accepted sees the closing, and by then the path must be gone.
    @Test func theFileGoesBeforeTheSocketCloses() throws {
        for round in 0..<200 {
            let path = temporaryPath()
            var listener: Listener? = try Listener(.unix(path: path), isShared: false)
            let client = Peer(socket(AF_UNIX, CInt(SOCK_STREAM.rawValue), 0))
            let isConnected = SocketAddress.unix(path: path).withSockaddr { Glibc.connect(client.descriptor, $0, $1) }
            #expect(isConnected == 0 && listener != nil)
            // Both are to run when it closes, so that the watcher is in time.
            let isWatching = Flag()
            let wasThere = OnThread {
                var readiness = pollfd(fd: client.descriptor, events: 0, revents: 0)
                isWatching.set()
                while poll(&readiness, 1, 0) == 0 {}
                return access(path, F_OK) == 0
            }
            while !isWatching.isSet {}
            listener = nil
            #expect(wasThere.value() == false, "round \(round)")
        }
    }

    @Test func aStaleSocketFileIsReplaced() throws {
        let path = temporaryPath()
        defer { unlink(path) }
        try leaveStale(path)
        let listener = try Listener(.unix(path: path), isShared: false)
        #expect(isThere(path))
        withExtendedLifetime(listener) {}
    }

    @Test func aLiveSocketFileIsNotTaken() throws {
        let path = temporaryPath()
        let live = try Listener(.unix(path: path), isShared: false)
        let error = #expect(throws: IOError.self) { try Listener(.unix(path: path), isShared: false) }
        #expect(error?.code == .system(EADDRINUSE))
        #expect(error?.description == "bind: address already in use: another process listens on \(path)")
        #expect(isThere(path))
        withExtendedLifetime(live) {}
    }

    @Test(arguments: [S_IFREG, S_IFDIR, S_IFIFO, S_IFLNK]) func anotherKindOfFileStays(_ kind: mode_t) throws {
        let path = temporaryPath()
        switch kind {
        case S_IFREG: close(open(path, O_CREAT | O_WRONLY, 0o600))
        case S_IFDIR: mkdir(path, 0o700)
        case S_IFIFO: mkfifo(path, 0o600)
        // What it leads to is not looked at: whoever made the link may not choose what we remove.
        default: symlink("/nonexistent", path)
        }
        defer { remove(path) }
        let error = #expect(throws: IOError.self) { try Listener(.unix(path: path), isShared: false) }
        #expect(error?.code == .system(EADDRINUSE))
        #expect(error?.detail == "\(path) is there and not a socket; remove it, or name another path")
        #expect((look(path)?.st_mode ?? 0) & S_IFMT == kind)
    }

    /// Only root can make a file of somebody else.
    @Test(.enabled(if: geteuid() == 0)) func anotherUsersStaleSocketStays() throws {
        let path = temporaryPath()
        try leaveStale(path)
        defer { unlink(path) }
        chown(path, 65532, 65532)
        let error = #expect(throws: IOError.self) { try Listener(.unix(path: path), isShared: false) }
        #expect(error?.code == .system(EADDRINUSE))
        #expect(error?.detail == "\(path) is a socket of user 65532; remove it, or name another path")
        #expect(isThere(path))
    }

    @Test(.enabled(if: geteuid() == 0)) func aFileThatWasGivenAwayStays() throws {
        let path = temporaryPath()
        defer { unlink(path) }
        do {
            let listener = try Listener(.unix(path: path), isShared: false)
            chown(path, 65532, 65532)
            withExtendedLifetime(listener) {}
        }
        #expect(isThere(path))
    }

    /// Whatever the umask, which a service manager sets to protect other files. In a process of its own, for it is the
    /// process's.
    @Test(arguments: [0o000, 0o077, 0o177, 0o777] as [mode_t]) func theModeIsTheOneAskedFor(_ mask: mode_t) async {
        await #expect(processExitsWith: .success) { [mask] in
            umask(mask)
            for (access, expected) in [
                (SocketFile.Access(), 0o660), (SocketFile.Access(mode: 0o600), 0o600),
                (SocketFile.Access(mode: 0o666), 0o666), (SocketFile.Access(mode: 0), 0),
            ] as [(SocketFile.Access, mode_t)] {
                let path = temporaryPath()
                let listener = try Listener(.unix(path: path), isShared: false, access: access)
                var status = stat()
                guard lstat(path, &status) == 0, status.st_mode == S_IFSOCK | expected else { exit(EXIT_FAILURE) }
                withExtendedLifetime(listener) {}
            }
            exit(EXIT_SUCCESS)
        }
    }

    @Test func theGroupIsTheOneAskedFor() throws {
        // Root may give a file to any group, and everybody to their own.
        let group = geteuid() == 0 ? 65532 : getegid()
        let path = temporaryPath()
        let listener = try Listener(.unix(path: path), isShared: false, access: SocketFile.Access(group: group))
        #expect(look(path)?.st_gid == group && look(path)?.st_mode == S_IFSOCK | 0o660)
        withExtendedLifetime(listener) {}
    }

    @Test(.enabled(if: geteuid() == 0)) func aGroupThatIsNotOursIsRefused() async {
        await #expect(processExitsWith: .success) {
            setgid(65532)
            setuid(65532)
            let path = temporaryPath()
            do throws(IOError) {
                _ = try Listener(.unix(path: path), isShared: false, access: SocketFile.Access(group: 65533))
                exit(EXIT_FAILURE)
            } catch {
                let isNamed = error.operation == "chown" && error.detail.contains("a member of group 65533")
                exit(isNamed && access(path, F_OK) != 0 ? EXIT_SUCCESS : EXIT_FAILURE)
            }
        }
    }

    @Test func groupsHaveNamesAndNumbers() throws {
        #expect(SystemGroup.number(of: "root") == 0)
        #expect(SystemGroup.number(of: "65532") == 65532)
        #expect(SystemGroup.number(of: "no-such-group") == nil && SystemGroup.number(of: "4294967295") == nil)
        #expect(SystemGroup.number(of: "-1") == nil && SystemGroup.number(of: "") == nil)
    }

    /// sockaddr_un has room for 107 bytes and a zero.
    @Test func aPathTooLongIsRefused() throws {
        let base = temporaryPath()
        let fits = base + String(repeating: "x", count: 107 - base.utf8.count)
        _ = try Listener(.unix(path: fits), isShared: false)
        let error = #expect(throws: IOError.self) { try Listener(.unix(path: fits + "x"), isShared: false) }
        #expect(error?.code == .system(ENAMETOOLONG))
    }

    private func isThere(_ path: String) -> Bool { look(path) != nil }

    private func look(_ path: String) -> stat? {
        var status = stat()
        return lstat(path, &status) == 0 ? status : nil
    }

    /// What a server that was killed leaves behind: a bound socket on which nobody listens.
    private func leaveStale(_ path: String) throws {
        let stale = try Listener(.unix(path: path), isShared: false)
        let copy = path + ".kept"
        link(path, copy)
        _ = consume stale
        rename(copy, path)
        #expect(isThere(path))
    }

    private func isReadable(_ descriptor: CInt) -> Bool {
        var readiness = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        return poll(&readiness, 1, 0) == 1
    }
}

@Suite struct AcceptorTests {
    @Test func handsOnEachConnectionAndItsPeer() throws {
        let listener = try Listener(.loopback(0), isShared: false)
        let clients = try (0..<100).map { _ in try connect(to: listener.address) }
        let peers = try onLoop { loop in
            let peers = Box<[SocketAddress?]>([])
            let acceptor = try Acceptor(
                listener, on: loop.reactor, isShared: false,
                accepted: { descriptor, peer in
                    close(descriptor)
                    peers.value.append(peer)
                }, failed: { _ in })
            while peers.value.count < 100 { await turns(on: loop.reactor) }
            acceptor.stop()
            return peers.value
        }
        #expect(peers.count == clients.count)
        #expect(peers.allSatisfy { $0.map { $0.port > 0 } ?? false })
    }

    @Test func afterStopNobodyIsAccepted() throws {
        let listener = try Listener(.loopback(0), isShared: false)
        let count = try onLoop { loop in
            let count = Box(0)
            let acceptor = try Acceptor(
                listener, on: loop.reactor, isShared: false,
                accepted: { descriptor, _ in
                    close(descriptor)
                    count.value += 1
                }, failed: { _ in })
            _ = try connect(to: listener.address)
            await turns(on: loop.reactor)
            acceptor.stop()
            _ = try connect(to: listener.address)
            await turns(on: loop.reactor)
            acceptor.stop()
            return count.value
        }
        #expect(count == 1)
    }

    /// With no descriptor left accepting pauses, says so once, and goes on by itself. In a process of its own, because
    /// the limit is the process's.
    @Test func withoutDescriptorsItPausesAndGoesOn() async {
        await #expect(processExitsWith: .success) {
            let listener = try Listener(.loopback(0), isShared: false)
            let client = try connect(to: listener.address)
            let failures = try onLoop { loop in
                let failures = Box<[IOError]>([])
                let accepted = Box(0)
                let limit = try setDescriptorLimit(0)
                let acceptor = try Acceptor(
                    listener, on: loop.reactor, isShared: false,
                    accepted: { descriptor, _ in
                        close(descriptor)
                        accepted.value += 1
                    },
                    failed: { failures.value.append($0) })
                while failures.value.isEmpty { await turns(on: loop.reactor) }
                _ = try setDescriptorLimit(limit)
                while accepted.value == 0 { await turns(on: loop.reactor) }
                acceptor.stop()
                return failures.value
            }
            withExtendedLifetime(client) {}
            exit(failures.map(\.code) == [.system(EMFILE)] ? EXIT_SUCCESS : EXIT_FAILURE)
        }
    }
}

/// Sets how many descriptors the process may have and returns what it was.
private func setDescriptorLimit(_ count: UInt) throws -> UInt {
    let resource = __rlimit_resource_t(RLIMIT_NOFILE.rawValue)
    var limit = rlimit()
    getrlimit(resource, &limit)
    let before = limit.rlim_cur
    limit.rlim_cur = count
    guard setrlimit(resource, &limit) == 0 else { throw TestError("setrlimit") }
    return before
}
