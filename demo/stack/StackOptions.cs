namespace SnapshotFlow.Stack;

/// <summary>How a development stack is started.</summary>
public sealed record StackOptions
{
    /// <summary>Where its state goes: database, volumes, logs, passwords.</summary>
    public required string StateDirectory { get; init; }

    /// <summary>Where <c>up</c> writes <c>openrc</c>, <c>openrc-admin</c> and <c>clouds.yaml</c>; null for the state directory.</summary>
    public string? ClientDirectory { get; init; }

    /// <summary>Directory of published programs; null for the build output beside this program.</summary>
    public string? BinDirectory { get; init; }

    /// <summary>Start from nothing and keep only the logs and volumes.</summary>
    public bool Ephemeral { get; init; }

    /// <summary>Temporal keeps its histories in PostgreSQL and so survives its own end. Default: when not <see cref="Ephemeral"/>.</summary>
    public bool? KeepHistories { get; init; }

    /// <summary>Unix socket that the workers ask what shall go wrong before, in and after every activity: their <c>Workers:FailpointSocket</c>. Null: none.</summary>
    public string? FailpointSocket { get; init; }

    /// <summary>Further configuration of API and workers, by environment variable; <c>OTEL_*</c> is for an embedded Temporal too.</summary>
    public IReadOnlyDictionary<string, string?> Settings { get; init; } = new Dictionary<string, string?>();

    /// <summary>Port of the API; null as <c>temporal-dev.yaml</c> says.</summary>
    public int? ApiPort { get; init; }

    /// <summary>Port of Temporal; null as <c>temporal-dev.yaml</c> says. Not used with a server that is already there.</summary>
    public int? TemporalPort { get; init; }

    /// <summary>Port of PostgreSQL; null as <c>temporal-dev.yaml</c> says.</summary>
    public int? PostgresPort { get; init; }

    /// <summary>Host name of the one hypervisor, which is also the host of the storage back end.</summary>
    public string Host { get; init; } = "node-1";
}
