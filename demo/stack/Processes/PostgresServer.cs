using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using Npgsql;

namespace SnapshotFlow.Stack.Processes;

/// <summary>
/// A PostgreSQL cluster of our own: loopback only, a random password, nothing of the distribution's cluster touched. PostgreSQL refuses to run as root,
/// so as root it runs as the user <c>postgres</c>.
/// </summary>
public sealed class PostgresServer : IAsyncDisposable
{
    private const string User = "snapshotflow";
    private const string ServiceUser = "postgres";
    private static readonly TimeSpan StartDeadline = TimeSpan.FromMinutes(2);
    private static readonly TimeSpan StopGrace = TimeSpan.FromSeconds(10);

    private ChildProcess process;
    private readonly string? removeAtEnd;

    private PostgresServer(ChildProcess process, int port, string password, string? removeAtEnd)
    {
        this.process = process;
        this.removeAtEnd = removeAtEnd;
        Port = port;
        Password = password;
    }

    /// <summary>Port on 127.0.0.1.</summary>
    public int Port { get; }

    /// <summary>The process, for the demo's and the tests' list of what they started.</summary>
    public ChildProcess Process => process;

    private string Password { get; }

    /// <summary>Connection string for one database.</summary>
    public string ConnectionString(string database) => new NpgsqlConnectionStringBuilder
    {
        Host = "127.0.0.1", Port = Port, Username = User, Password = Password, Database = database,
    }.ConnectionString;

    /// <summary>Starts the cluster of a state directory, making it first when there is none.</summary>
    /// <param name="state">Where cluster, password and log are.</param>
    /// <param name="port">Port on 127.0.0.1.</param>
    /// <param name="ephemeral">The data goes when the server stops, so it need not survive a power cut.</param>
    /// <param name="ct">Ends the start; what was started is stopped.</param>
    public static async Task<PostgresServer> StartAsync(StackState state, int port, bool ephemeral, CancellationToken ct)
    {
        var binaries = FindBinaries();
        string[] asUser = Environment.IsPrivilegedProcess ? ["setpriv", $"--reuid={ServiceUser}", $"--regid={ServiceUser}", "--clear-groups"] : [];
        var data = await DataDirectoryAsync(state, asUser, ct);
        var password = await InitialiseAsync(state, binaries, data, asUser, ct);

        string[] settings =
        [
            $"port={port}", "listen_addresses=127.0.0.1", "unix_socket_directories=", "shared_buffers=64MB", "max_connections=200",
            // Survives kill -9 of any process either way: only a power cut needs fsync.
            ephemeral ? "fsync=off" : "fsync=on",
        ];
        var process = await ChildProcess.StartAsync(
            new ChildCommand("postgres", Path.Combine(binaries, "postgres"), ["-D", data, .. settings.SelectMany(s => new[] { "-c", s })])
            {
                AsUser = asUser,
                Directory = "/",
                // "Fast" shutdown disconnects clients; "immediate" also ends the children when this process is killed. Source: PostgreSQL manual, 18.5.
                StopSignal = Signal.Interrupt,
                DeathSignal = Signal.Quit,
            },
            state.Logs);
        var server = new PostgresServer(process, port, password, ephemeral ? data : null);
        try
        {
            await Wait.UntilAsync($"PostgreSQL to answer on port {port} (log {process.LogFile})", StartDeadline, async token =>
            {
                server.process.ThrowIfExited();
                return await server.AnswersAsync(token);
            }, ct);
            return server;
        }
        catch
        {
            await server.DisposeAsync();
            throw;
        }
    }

    /// <summary>Starts it again after its end, as a supervisor does: until what the old one left of itself is gone and it answers.</summary>
    public async Task StartAgainAsync(CancellationToken ct)
    {
        process = await process.StartAgainAsync();
        await Wait.UntilAsync($"PostgreSQL to answer again on port {Port} (log {process.LogFile})", StartDeadline, async token =>
        {
            if (process.HasExited)
            {
                process = await process.StartAgainAsync();
            }
            return await AnswersAsync(token);
        }, ct);
    }

    /// <summary>Makes a database unless it is there.</summary>
    public async Task EnsureDatabaseAsync(string name, CancellationToken ct)
    {
        await using var source = NpgsqlDataSource.Create(ConnectionString("postgres"));
        try
        {
            // A database name cannot be a parameter; ours are constants.
            await using var create = source.CreateCommand($"CREATE DATABASE {name}");
            await create.ExecuteNonQueryAsync(ct);
        }
        catch (PostgresException e) when (e.SqlState == PostgresErrorCodes.DuplicateDatabase)
        {
            // Kept from the last time.
        }
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        NpgsqlConnection.ClearAllPools();
        await process.StopAsync(StopGrace);
        if (removeAtEnd is not null && Directory.Exists(removeAtEnd))
        {
            Directory.Delete(removeAtEnd, recursive: true);
        }
    }

    /// <summary>The directory with <c>postgres</c> and <c>initdb</c>: on PATH, or where Debian puts the newest version.</summary>
    private static string FindBinaries()
    {
        var onPath = (Environment.GetEnvironmentVariable("PATH") ?? "").Split(':', StringSplitOptions.RemoveEmptyEntries);
        var debian = Directory.Exists("/usr/lib/postgresql")
            ? Directory.EnumerateDirectories("/usr/lib/postgresql")
                .OrderByDescending(d => int.TryParse(Path.GetFileName(d), NumberStyles.None, CultureInfo.InvariantCulture, out var version) ? version : 0)
                .Select(d => Path.Combine(d, "bin"))
            : [];
        return onPath.Concat(debian).FirstOrDefault(d => File.Exists(Path.Combine(d, "postgres")) && File.Exists(Path.Combine(d, "initdb")))
            ?? throw new StackException("no PostgreSQL server binaries (postgres, initdb) on PATH or in /usr/lib/postgresql/*/bin; install them: apt-get install postgresql");
    }

    /// <summary>In the state directory, unless the user that PostgreSQL runs as cannot get there (a clone under /root): then in that user's own place.</summary>
    private static async Task<string> DataDirectoryAsync(StackState state, string[] asUser, CancellationToken ct)
    {
        var data = Path.Combine(state.Directory, "postgres");
        if (asUser.Length == 0)
        {
            return data;
        }
        var reachable = await Command.RunAsync([.. asUser, "test", "-x", state.Directory], ct) is { ExitCode: 0 };
        if (!reachable)
        {
            var name = Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(state.Directory)))[..12];
            data = Path.Combine(Directory.Exists("/var/lib/postgresql") ? "/var/lib/postgresql" : "/var/tmp", $"snapshotflow-{name}");
        }
        Directory.CreateDirectory(data);
        await Command.CheckAsync(["chown", $"{ServiceUser}:{ServiceUser}", data], ct);
        return data;
    }

    private static async Task<string> InitialiseAsync(StackState state, string binaries, string data, string[] asUser, CancellationToken ct)
    {
        var passwordFile = Path.Combine(state.Directory, "postgres.password");
        if (File.Exists(Path.Combine(data, "PG_VERSION")) && File.Exists(passwordFile))
        {
            return await File.ReadAllTextAsync(passwordFile, ct);
        }
        // The password is written last: without it, what lies here is an initdb that was broken off, or belongs to a state directory that is gone.
        foreach (var entry in Directory.Exists(data) ? new DirectoryInfo(data).EnumerateFileSystemInfos() : [])
        {
            if (entry is DirectoryInfo directory)
            {
                directory.Delete(recursive: true);
            }
            else
            {
                entry.Delete();
            }
        }
        var password = Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(24));
        // The service user cannot read our file, so it gets one of its own for the moment.
        var handed = data + ".initdb-password";
        try
        {
            await SecretFile.WriteAsync(handed, password, ct);
            if (asUser.Length > 0)
            {
                await Command.CheckAsync(["chown", ServiceUser, handed], ct);
            }
            await Command.CheckAsync(
                [
                    .. asUser, Path.Combine(binaries, "initdb"), "-D", data, $"--username={User}", $"--pwfile={handed}", "--auth=scram-sha-256",
                    "--encoding=UTF8", "--locale=C", "--no-instructions", "--no-sync",
                ],
                ct);
        }
        finally
        {
            File.Delete(handed);
        }
        await SecretFile.WriteAsync(passwordFile, password, ct);
        return password;
    }

    private async Task<bool> AnswersAsync(CancellationToken ct)
    {
        try
        {
            await using var connection = new NpgsqlConnection(ConnectionString("postgres") + ";Pooling=false;Timeout=2");
            await connection.OpenAsync(ct);
            return true;
        }
        catch (NpgsqlException)
        {
            // Refused, or "the database system is starting up".
            return false;
        }
    }
}
