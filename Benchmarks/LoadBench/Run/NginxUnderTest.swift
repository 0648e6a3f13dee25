import Glibc

/// nginx of the distribution, terminating TLS in front of the same upstream, without the WebSocket layer.
final class NginxUnderTest: MeasuredServer {
    let name = "nginx"
    let mode = LoadTarget.Mode.direct
    let port: UInt16
    let startSeconds: Double
    let logFiles: [String]
    private let child: ChildProcess

    /// - Parameter isHTTP2: takes HTTP/2 too.
    /// - Parameter isTuned: `false` leaves the buffers of downloads as they are by default, 8 of 4 KiB.
    init(_ workshop: Workshop, identity: Workshop.Identity, isHTTP2: Bool, isTuned: Bool = true) throws {
        port = try workshop.freePort()
        let files = try workshop.files(identity)
        let base = "\(workshop.directory)/nginx-\(port)"
        logFiles = ["\(base)-access.log", "\(base)-error.log"]
        let configuration = "\(base).conf"
        try TextFile.write(
            Self.configuration(
                base: base, port: port, isHTTP2: isHTTP2, files: files, upstreamPort: workshop.upstreamPort,
                buffers: isTuned ? "proxy_buffers 16 64k; proxy_busy_buffers_size 256k;" : ""),
            to: configuration)
        let started = Clock.now()
        child = try ChildProcess(
            "nginx", ["-c", configuration, "-e", logFiles[1]], errorFile: logFiles[1])
        startSeconds = try Self.awaitPort(port, of: name) - started
        try awaitWorkers()
    }

    /// The port takes connections before there is a worker that belongs to the measurement.
    private func awaitWorkers() throws(BenchError) {
        let count = Int(sysconf(CInt(_SC_NPROCESSORS_ONLN)))
        let end = Clock.now() + 15
        while processes.count <= count {
            guard Clock.now() < end else { throw BenchError("\(name) has not \(count) workers after 15 seconds") }
            usleep(1000)
        }
    }

    /// The master does no work, but its memory is part of the price.
    var processes: [pid_t] { [child.process] + ProcessSample.children(of: child.process) }

    /// As fast as nginx can be made for each kind of load, with what our proxy does too left on: one line of log for a
    /// request, session tickets, TLS 1.3 with AES-128-GCM and X25519, keep-alive on both sides.
    ///
    /// - Downloads: buffering stays on, with 64 KiB buffers and no temporary file. That is nginx's fastest way; with
    ///   buffering off it reads one small buffer at a time. Its defaults, 8 buffers of 4 KiB, are a third side of the
    ///   table, because they are what most installations run.
    /// - Uploads: request buffering is off, else nginx would write the body to a file first.
    /// - Event streams: buffering is off, else events would wait.
    /// - HTTP/2: frames as large as they may be instead of half of it, and as many streams as `h2-idle` opens.
    private static func configuration(
        base: String, port: UInt16, isHTTP2: Bool, files: (certificate: String, key: String), upstreamPort: UInt16,
        buffers: String
    ) -> String {
        """
        daemon off;
        user root;
        pid \(base).pid;
        worker_processes auto;
        worker_rlimit_nofile 20000;
        error_log \(base)-error.log warn;
        events { worker_connections 8192; }
        http {
            access_log \(base)-access.log;
            client_body_temp_path \(base)-body;
            proxy_temp_path \(base)-proxy;
            fastcgi_temp_path \(base)-fastcgi;
            uwsgi_temp_path \(base)-uwsgi;
            scgi_temp_path \(base)-scgi;
            tcp_nodelay on;
            keepalive_timeout 3600s;
            keepalive_requests 1000000000;
            ssl_certificate \(files.certificate);
            ssl_certificate_key \(files.key);
            ssl_protocols TLSv1.3;
            ssl_conf_command Ciphersuites TLS_AES_128_GCM_SHA256;
            ssl_ecdh_curve X25519;
            ssl_session_tickets on;
            upstream app {
                server 127.0.0.1:\(upstreamPort);
                keepalive 1024;
                keepalive_requests 1000000000;
                keepalive_time 24h;
            }
            server {
                listen 127.0.0.1:\(port) ssl \(isHTTP2 ? "http2 " : "")reuseport backlog=4096;
                http2_max_concurrent_streams 1100;
                http2_chunk_size 16k;
                proxy_http_version 1.1;
                proxy_set_header Connection "";
                proxy_set_header Host $host;
                proxy_read_timeout 1h;
                proxy_max_temp_file_size 0;
                location / { proxy_pass http://app; }
                location /refused { return 403; }
                location /download/ {
                    proxy_pass http://app;
                    \(buffers)
                }
                location /upload {
                    proxy_pass http://app;
                    client_max_body_size 0;
                    client_body_buffer_size 64k;
                    proxy_request_buffering off;
                }
                location /events/ {
                    proxy_pass http://app;
                    proxy_buffering off;
                }
            }
        }

        """
    }
}
