using System.Globalization;
using Npgsql;

namespace SnapshotFlow.Tests.TemporalDev.Durability;

/// <summary>
/// A PostgreSQL of this process's own, in a temporary directory, with every flush that durability needs. It ends with
/// this process.
/// </summary>
internal sealed class PrivatePostgres : IAsyncDisposable
{
    private readonly string directory = Path.Combine(Path.GetTempPath(), $"temporal-dev-postgres-{Environment.ProcessId}-{Guid.NewGuid():N}"[..45]);
    private readonly string binaries;
    private readonly int port = FreePort.Next();
    private ChildProcess? server;

    private PrivatePostgres(string binaries) => this.binaries = binaries;

    /// <summary>Why there can be none on this machine; null when there can.</summary>
    public static string? Missing => FindBinaries() is null
        ? "PostgreSQL's server programs are in neither /usr/lib/postgresql/*/bin nor PATH: install the package postgresql"
        : null;

    /// <summary>The process that starts all others.</summary>
    public int ProcessId => server!.Id;

    public static async Task<PrivatePostgres> StartAsync()
    {
        var cluster = new PrivatePostgres(FindBinaries() ?? throw new InvalidOperationException(Missing));
        Directory.CreateDirectory(cluster.directory);
        if (Environment.IsPrivilegedProcess)
        {
            await RunAsync("chown", null, "postgres:postgres", cluster.directory);
        }

        await RunAsync(
            Path.Combine(cluster.binaries, "initdb"), "postgres", "-D", cluster.Data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync");
        await cluster.StartServerAsync();
        return cluster;
    }

    /// <summary>A database of its own; the connection string says how to reach it.</summary>
    public async Task<string> CreateDatabaseAsync()
    {
        var name = "test_" + Guid.NewGuid().ToString("N");
        await ExecuteAsync("postgres", $"create database {name}");
        return ConnectionString(name);
    }

    /// <summary>Stops the cluster as an operator would, and starts it again on the same data and port.</summary>
    public async Task RestartAsync(Func<Task>? whileStopped = null)
    {
        await StopAsync();
        if (whileStopped is not null)
        {
            await whileStopped();
        }

        await StartServerAsync();
    }

    public async Task StopAsync()
    {
        await server!.SignalAsync("INT");
        await server.WaitForExitAsync(CancellationToken.None);
        server.Dispose();
        server = null;
    }

    public static async Task<T> ScalarAsync<T>(string connectionString, string sql)
    {
        await using var connection = new NpgsqlConnection(new NpgsqlConnectionStringBuilder(connectionString) { Pooling = false }.ConnectionString);
        await connection.OpenAsync();
        await using var command = new NpgsqlCommand(sql, connection);
        return (T)(await command.ExecuteScalarAsync())!;
    }

    public async ValueTask DisposeAsync()
    {
        NpgsqlConnection.ClearAllPools();
        server?.Dispose();

        // Back ends notice the end of their postmaster on their own and may still write for a moment.
        await RunAsync("sh", null, "-c", "for i in 1 2 3 4 5; do rm -rf \"$0\" && exit 0; sleep 0.2; done", directory);
    }

    private string Data => Path.Combine(directory, "data");

    private string ConnectionString(string database) =>
        new NpgsqlConnectionStringBuilder { Host = "127.0.0.1", Port = port, Username = "postgres", Database = database }.ConnectionString;

    private Task<int> ExecuteAsync(string database, string sql) => ExecuteOnAsync(ConnectionString(database), sql);

    public static async Task<int> ExecuteOnAsync(string connectionString, string sql)
    {
        await using var connection = new NpgsqlConnection(new NpgsqlConnectionStringBuilder(connectionString) { Pooling = false }.ConnectionString);
        await connection.OpenAsync();
        await using var command = new NpgsqlCommand(sql, connection);
        return await command.ExecuteNonQueryAsync();
    }

    private async Task StartServerAsync()
    {
        var ready = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        server = await ChildProcess.StartAsync(
            Path.Combine(binaries, "postgres"),
            ["-D", Data, "-k", directory, "-h", "127.0.0.1", "-p", port.ToString(CultureInfo.InvariantCulture), "-c", "max_connections=50", "-c", "shared_buffers=64MB"],
            "postgres",
            line =>
            {
                if (line.Contains("database system is ready to accept connections", StringComparison.Ordinal))
                {
                    ready.TrySetResult();
                }
            });
        var ended = server.WaitForExitAsync(CancellationToken.None);
        await Task.WhenAny(ready.Task, ended).WaitAsync(TimeSpan.FromSeconds(60));
        if (!ready.Task.IsCompleted)
        {
            throw new InvalidOperationException($"PostgreSQL does not start:\n{server.Output}");
        }
    }

    private static async Task RunAsync(string program, string? user, params string[] arguments)
    {
        using var process = await ChildProcess.StartAsync(program, arguments, user);
        await process.WaitForExitAsync(CancellationToken.None);
        if (process.ExitCode != 0)
        {
            throw new InvalidOperationException($"{program} ended with {process.ExitCode}:\n{process.Output}");
        }
    }

    private static string? FindBinaries() =>
        new[] { "/usr/lib/postgresql" }.Where(Directory.Exists).SelectMany(Directory.GetDirectories).Select(d => Path.Combine(d, "bin"))
            .OrderByDescending(d => d, StringComparer.Ordinal)
            .Concat((Environment.GetEnvironmentVariable("PATH") ?? "").Split(':'))
            .FirstOrDefault(d => File.Exists(Path.Combine(d, "postgres")) && File.Exists(Path.Combine(d, "initdb")));
}
