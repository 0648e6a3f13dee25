/// What every program of ours may read of the system: how names are looked up, libraries, the time zone, and what the
/// kernel says of the process itself. Nothing of it is a secret, and no file of a user is among it.
package enum SystemPlaces {
    /// - Parameters:
    ///   - mounts: where something is mounted.
    ///   - link: what a link holds.
    package static func readable(
        mounts: Set<String> = FilePlaces.mounts(), link: (String) -> String? = FilePlaces.link
    ) -> [String] {
        var places = own + libraries + names
        for file in replaced {
            // A container's engine mounts each of the two by itself and writes into the file that is there. On a host
            // programs put a new file in its place, which only a rule about the folder holds for: without it a change of
            // the name servers would be the end of looking names up.
            let found = mounts.contains(file) ? [file] : FilePlaces.folders(of: file, link: link)
            places += found.filter { !places.contains($0) }
        }
        return places
    }

    /// Those that name services replace while the process runs.
    private static let replaced = ["/etc/resolv.conf", "/etc/hosts"]

    /// The C library's own look-ups, and what they ask: nsswitch.conf(5), gai.conf(5). systemd-resolved and sssd are
    /// asked over sockets, and read besides.
    private static let names = [
        "/etc/nsswitch.conf", "/etc/host.conf", "/etc/gai.conf", "/etc/services", "/etc/protocols", "/etc/networks",
        "/etc/group", "/etc/localtime", "/usr/share/zoneinfo", "/run/systemd/resolve", "/var/lib/sss/mc",
    ]

    /// Name services are libraries that are loaded with the first look-up. They are mapped and not executed.
    private static let libraries = [
        "/lib", "/lib64", "/usr/lib", "/usr/lib64", "/usr/local/lib", "/etc/ld.so.cache", "/etc/ssl/openssl.cnf",
    ]

    /// Metrics and the limit of connections come from there. Of other processes nothing in /proc is readable.
    private static let own = [
        "/proc/self", "/proc/stat", "/sys/fs/cgroup", "/sys/devices/system/cpu",
        "/dev/null", "/dev/random", "/dev/urandom",
    ]
}
