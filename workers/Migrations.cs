using Microsoft.Extensions.Configuration;
using Npgsql;
using SnapshotFlow.Model;
using SnapshotFlow.Store;

namespace SnapshotFlow.Workers;

/// <summary>Brings the database to this build's shape, as a step of its own (<c>snapshotflow-workers migrate</c>), and refuses to work on another shape.</summary>
internal static class Migrations
{
    /// <summary>Applies what is missing and says so.</summary>
    public static int Apply(IConfiguration configuration)
    {
        var applied = DatabaseMigrations.Apply(ConnectionString(configuration));
        Console.WriteLine(applied.Count == 0 ? "the database is up to date" : $"applied {string.Join(", ", applied)}");
        return 0;
    }

    /// <summary>Fails when the database has another shape than this build. A database that does not answer is not judged: the activities wait for it.</summary>
    public static void Check(IConfiguration configuration)
    {
        try
        {
            var check = DatabaseMigrations.Check(ConnectionString(configuration));
            if (!check.IsCurrent)
            {
                throw new SnapshotFlowException(ErrorKind.InvalidRequest, $"{check}; 'snapshotflow-workers migrate' brings a database up to date");
            }
        }
        catch (NpgsqlException e) when (e.InnerException is System.Net.Sockets.SocketException or TimeoutException || e.IsTransient)
        {
            // It may come up later than this process does.
        }
    }

    private static string ConnectionString(IConfiguration configuration) =>
        configuration["Store:ConnectionString"] is { Length: > 0 } text
            ? text
            : throw new InvalidConfigurationException(["Store:ConnectionString is missing: the role control keeps its records in PostgreSQL"]);
}
