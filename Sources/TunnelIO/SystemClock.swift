internal import Glibc
package import TunnelCore

/// The system's real-time clock, which TunnelCore does not read itself.
package enum SystemClock {
    package static func now() -> UnixTime {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return UnixTime(seconds: Int64(time.tv_sec), nanoseconds: Int64(time.tv_nsec))
    }
}
