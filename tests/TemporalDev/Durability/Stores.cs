using Microsoft.Extensions.Logging.Abstractions;
using SnapshotFlow.TemporalDev.Store.Postgres;

namespace SnapshotFlow.Tests.TemporalDev.Durability;

internal static class Stores
{
    /// <param name="failStop">What happens when the store gives up. By default the process ends, as the server would.</param>
    public static PostgresStore Postgres(string connectionString, Action<Exception>? failStop = null, TimeSpan? patience = null) => new(
        new PostgresStoreOptions
        {
            ConnectionString = connectionString,
            Patience = patience ?? TimeSpan.FromSeconds(20),
            LockPatience = TimeSpan.FromSeconds(1),
            WatchInterval = TimeSpan.FromMilliseconds(50),
        },
        failStop ?? (e => Environment.FailFast("the store gave up", e)),
        TimeProvider.System,
        NullLogger<PostgresStore>.Instance);
}
