using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using Npgsql;
using SnapshotFlow.Store;

[assembly: AssemblyFixture(typeof(SnapshotFlow.Tests.Store.PrivatePostgres))]

namespace SnapshotFlow.Tests.Store;

/// <summary>
/// A PostgreSQL of this test run's own: a cluster in a temporary directory, on a unix socket and a free port of the loopback interface, made anew, without
/// the flushes that only a crash would need. It ends with the test process, also when that is killed.
/// </summary>
public sealed class PrivatePostgres : IAsyncLifetime
{
    private const string Template = "migrated";

    private readonly string directory = Path.Combine(Path.GetTempPath(), $"snapshotflow-postgres-{Environment.ProcessId}");
    private readonly SemaphoreSlim creating = new(1);
    private readonly TaskCompletionSource stopped = new();
    private Process? server;
    private int port;

    /// <summary>Why there is none; null when there is one.</summary>
    public string? Missing { get; private set; }

    public async ValueTask InitializeAsync()
    {
        if (FindBinaries() is not { } binaries)
        {
            Missing = "PostgreSQL's server programs are in neither /usr/lib/postgresql/*/bin nor PATH: install the package postgresql";
            return;
        }

        Directory.CreateDirectory(directory);
        if (Environment.IsPrivilegedProcess)
        {
            await RunAsync("chown", "postgres:postgres", directory);
        }

        // Not tied to the end of its parent: the kernel means the thread that started it, and one of the pool may end while this is still at work.
        await RunAsync(AsServerUser([], Path.Combine(binaries, "initdb"), "-D", DataDirectory, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"));
        port = FreePort();
        await StartAsync(AsServerUser(
            ["--pdeathsig", "KILL"], Path.Combine(binaries, "postgres"), "-D", DataDirectory, "-k", directory, "-h", "127.0.0.1", "-p", port.ToString(CultureInfo.InvariantCulture),
            "-c", "fsync=off", "-c", "full_page_writes=off", "-c", "synchronous_commit=off", "-c", "max_connections=200"));
        await ExecuteAsync("postgres", $"CREATE DATABASE {Template}");
        DatabaseMigrations.Apply(ConnectionString(Template, pooling: false));
    }

    public async ValueTask DisposeAsync()
    {
        if (server is not null)
        {
            NpgsqlConnection.ClearAllPools();
            server.Kill();
            await server.WaitForExitAsync(CancellationToken.None);
            server.Dispose();
            stopped.TrySetResult();
        }

        creating.Dispose();
        if (Directory.Exists(directory))
        {
            // Back ends notice the end of their postmaster on their own and may still hold files for a moment: what cannot be deleted is the system's to clean.
            await RunAsync("rm", "-rf", directory);
        }
    }

    /// <summary>A database of its own, empty or migrated to the newest.</summary>
    public async Task<string> CreateDatabaseAsync(bool migrated)
    {
        Assert.SkipWhen(Missing is not null, Missing ?? "");
        var name = "test_" + Guid.NewGuid().ToString("N");
        await creating.WaitAsync(TestContext.Current.CancellationToken);
        try
        {
            await ExecuteAsync("postgres", migrated ? $"CREATE DATABASE {name} TEMPLATE {Template}" : $"CREATE DATABASE {name}");
        }
        finally
        {
            creating.Release();
        }

        return ConnectionString(name, pooling: true);
    }

    private string DataDirectory => Path.Combine(directory, "data");

    private string ConnectionString(string database, bool pooling) =>
        new NpgsqlConnectionStringBuilder { Host = directory, Port = port, Username = "postgres", Database = database, Pooling = pooling, MaxPoolSize = 40 }.ConnectionString;

    private async Task ExecuteAsync(string database, string sql)
    {
        await using var connection = new NpgsqlConnection(ConnectionString(database, pooling: false));
        await connection.OpenAsync();
        await using var command = new NpgsqlCommand(sql, connection);
        await command.ExecuteNonQueryAsync();
    }

    // The server is told by the kernel when its parent ends. The kernel means the parent's thread, so one thread starts the server and stays.
    private async Task StartAsync(string[] command)
    {
        var ready = new TaskCompletionSource();
        var log = new List<string>();
        new Thread(() =>
        {
            var start = new ProcessStartInfo(command[0], command[1..]) { RedirectStandardError = true };
            start.Environment["LC_ALL"] = "C";
            server = Process.Start(start)!;
            server.ErrorDataReceived += (_, line) =>
            {
                lock (log)
                {
                    log.Add(line.Data ?? "(the server has ended)");
                }

                if (line.Data is null)
                {
                    ready.TrySetException(new InvalidOperationException(string.Join('\n', log)));
                }
                else if (line.Data.Contains("database system is ready to accept connections", StringComparison.Ordinal))
                {
                    ready.TrySetResult();
                }
            };
            server.BeginErrorReadLine();
            stopped.Task.Wait();
        })
        { IsBackground = true, Name = "postgres" }.Start();
        await ready.Task.WaitAsync(TimeSpan.FromSeconds(60));
    }

    private static string[] AsServerUser(string[] options, params string[] command) => Environment.IsPrivilegedProcess
        ? ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups", .. options, .. command]
        : options is [] ? command : ["setpriv", .. options, .. command];

    private static async Task RunAsync(params string[] command)
    {
        using var process = Process.Start(new ProcessStartInfo(command[0], command[1..]) { RedirectStandardError = true, RedirectStandardOutput = true })!;
        var output = await Task.WhenAll(process.StandardOutput.ReadToEndAsync(), process.StandardError.ReadToEndAsync());
        await process.WaitForExitAsync();
        Assert.True(process.ExitCode == 0, $"{string.Join(' ', command)} ended with {process.ExitCode}:\n{string.Concat(output)}");
    }

    private static string? FindBinaries() =>
        new[] { "/usr/lib/postgresql" }.Where(Directory.Exists).SelectMany(Directory.GetDirectories).Select(d => Path.Combine(d, "bin"))
            .OrderByDescending(d => d, StringComparer.Ordinal)
            .Concat((Environment.GetEnvironmentVariable("PATH") ?? "").Split(':'))
            .FirstOrDefault(d => File.Exists(Path.Combine(d, "postgres")) && File.Exists(Path.Combine(d, "initdb")));

    private static int FreePort()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        return ((IPEndPoint)listener.LocalEndpoint).Port;
    }
}
