using SnapshotFlow.TemporalDev.Engine;
using SnapshotFlow.TemporalDev.Store;
using SnapshotFlow.TemporalDev.Store.Postgres;

namespace SnapshotFlow.TemporalDev.Hosting;

/// <summary>How a server is run.</summary>
public sealed record ServerOptions
{
    /// <summary>Address to listen on. The server has no authentication, so the default is the loopback address.</summary>
    public string Ip { get; init; } = "127.0.0.1";

    /// <summary>Port to listen on; 0 takes a free one.</summary>
    public int Port { get; init; }

    /// <summary>Namespaces that exist when the server answers, beside <c>default</c>.</summary>
    public IReadOnlyList<string> Namespaces { get; init; } = [];

    /// <summary>How long closed runs are kept. Default 3 days; a time-skipping server never drops any.</summary>
    public TimeSpan Retention { get; init; } = TimeSpan.FromDays(3);

    /// <summary>Custom search attributes by name, with the name of their type, registered in every namespace above.</summary>
    public IReadOnlyDictionary<string, string> SearchAttributes { get; init; } = new Dictionary<string, string>();

    /// <summary>A test server: virtual time, and the TestService to steer it.</summary>
    public bool IsTestServer { get; init; }

    /// <summary>Whether a test server may skip time before anybody has unlocked it.</summary>
    public bool StartUnlocked { get; init; }

    public EngineOptions Engine { get; init; } = new();

    /// <summary>The PostgreSQL in which state survives; null keeps it in memory only.</summary>
    public PostgresStoreOptions? Database { get; init; }

    /// <summary>Another store than <see cref="Database"/> says. The server disposes it.</summary>
    public IStore? Store { get; init; }

    /// <summary>The clock from which virtual time is made. Waits for tasks and answers stay in real time.</summary>
    public TimeProvider SystemTime { get; init; } = TimeProvider.System;

    public LogLevel LogLevel { get; init; } = LogLevel.Warning;
}
