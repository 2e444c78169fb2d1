using Temporalio.Common;

namespace SnapshotFlow.Workflows;

/// <summary>The shapes in which steps are repeated; how long altogether stands next to each call. Kinds that cannot succeed later are marked so where they arise.</summary>
internal static class Retries
{
    /// <summary>While somebody waits or a guest is frozen: from 100 ms to 1 s.</summary>
    public static RetryPolicy Quick => new() { InitialInterval = TimeSpan.FromMilliseconds(100), BackoffCoefficient = 2, MaximumInterval = TimeSpan.FromSeconds(1) };

    /// <summary>For what must happen in the end: from 250 ms to 15 s.</summary>
    public static RetryPolicy Patient => new() { InitialInterval = TimeSpan.FromMilliseconds(250), BackoffCoefficient = 2, MaximumInterval = TimeSpan.FromSeconds(15) };

    /// <summary>Once more and no further: the second attempt finds what the first one did.</summary>
    public static RetryPolicy Once => new() { InitialInterval = TimeSpan.FromMilliseconds(100), MaximumAttempts = 2 };
}
