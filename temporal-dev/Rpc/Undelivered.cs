namespace SnapshotFlow.TemporalDev.Rpc;

/// <summary>
/// What has to be undone when an answer's stream breaks before the answer is out: a task in it was seen by nobody, and goes back at once instead of
/// waiting for its timeout.
/// </summary>
internal static class Undelivered
{
    private static readonly object Key = new();

    /// <summary>Called while the answer is made; the latest counts.</summary>
    public static void OnUndelivered(this ServerCallContext context, Func<Task> undo) => context.UserState[Key] = undo;

    /// <summary>Watches the answer on its way out.</summary>
    public static void Watch(ServerCallContext context)
    {
        if (context.UserState.TryGetValue(Key, out var undo))
        {
            var call = context.GetHttpContext();
            call.Response.OnCompleted(() => call.RequestAborted.IsCancellationRequested ? ((Func<Task>)undo)() : Task.CompletedTask);
        }
    }
}
