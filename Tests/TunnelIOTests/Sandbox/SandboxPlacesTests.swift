import Testing

@testable import TunnelIO

/// Which folders stand for a file that will be replaced; links are a table here.
@Suite struct SandboxPlacesTests {
    private func folders(_ path: String, _ links: [String: String] = [:]) -> [String] {
        FilePlaces.folders(of: path) { links[$0] }
    }

    @Test func `a plain file may be renamed over`() { #expect(folders("/etc/mcp/config.yaml") == ["/etc/mcp"]) }

    @Test func `Kubernetes swaps a link beside the files`() {
        let links = ["/config/tls.crt": "..data/tls.crt", "/config/..data": "..2026_1"]
        #expect(folders("/config/tls.crt", links) == ["/config", "/config/..data"])
        let deeper = ["/run/secrets/tls/tls.crt": "..data/tls.crt", "/run/secrets/tls/..data": "..2026_1"]
        #expect(folders("/run/secrets/tls/tls.crt", deeper) == ["/run/secrets/tls", "/run/secrets/tls/..data"])
    }

    @Test func `an ACME client links into its archive`() {
        let links = ["/etc/le/live/x/cert.pem": "../../archive/x/cert1.pem"]
        #expect(folders("/etc/le/live/x/cert.pem", links) == ["/etc/le/live/x", "/etc/le/live/x/../../archive/x"])
    }

    @Test func `a folder that is a link to one beside it stands for both`() {
        #expect(folders("/srv/tls/now/a", ["/srv/tls/now": "v1"]) == ["/srv/tls/now", "/srv/tls"])
        #expect(folders("/srv/tls/now/a", ["/srv/tls/now": "/srv/tls/v1"]) == ["/srv/tls/now", "/srv/tls"])
        // Out of it, or in the root, where everything lies.
        #expect(folders("/var/run/a", ["/var/run": "/run"]) == ["/var/run"])
        #expect(folders("/var/run/a", ["/var/run": "../run"]) == ["/var/run"])
        #expect(folders("/data/a", ["/data": "disk"]) == ["/data"])
    }

    @Test func `the root, devices and descriptors stand for themselves`() {
        #expect(folders("/config.yaml") == ["/config.yaml"])
        #expect(folders("/dev/stdin") == ["/dev/stdin"])
        #expect(folders("/proc/self/fd/3") == ["/proc/self/fd/3"])
    }

    @Test func `links in a circle end`() {
        #expect(folders("/a/b", ["/a/b": "/c/d", "/c/d": "/a/b"]) == ["/a", "/c"])
    }

    @Test func `in a container the two files alone are readable, on a host their folder is`() {
        let container = SystemPlaces.readable(mounts: ["/etc/resolv.conf", "/etc/hosts"]) { _ in nil }
        #expect(!container.contains("/etc") && container.contains("/etc/resolv.conf"))
        #expect(container.contains("/etc/hosts"))
        let host = SystemPlaces.readable(mounts: ["/"]) { $0 == "/etc/resolv.conf" ? "../run/nm/resolv.conf" : nil }
        #expect(host.contains("/etc") && host.contains("/etc/../run/nm"))
    }

    @Test func `mounts are the fifth words`() {
        let text = """
            22 1 254:0 / / rw,relatime - ext4 /dev/vda rw
            31 22 0:5 /x/resolv.conf /etc/resolv.conf ro - ext4 /dev/vda rw

            33
            """
        #expect(FilePlaces.mounts(in: text) == ["/", "/etc/resolv.conf"])
    }

    @Test func `what lies under a place may be read, and what begins like it may not`() {
        var state = SandboxState(mode: .required)
        state.readablePlaces = ["/config", "/etc/hosts"]
        #expect(state.allowsReading("/else"), "files are not confined")
        state.landlock = 1
        for path in ["/config", "/config/..2026/tls.crt", "/etc/hosts"] { #expect(state.allowsReading(path)) }
        for path in ["/configuration", "/etc/hostsfile", "/etc", "/"] { #expect(!state.allowsReading(path)) }
    }
}
