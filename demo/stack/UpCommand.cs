namespace SnapshotFlow.Stack;

/// <summary><c>up</c>: the stack with one server that writes all the time, until it is told to stop.</summary>
internal static class UpCommand
{
    public static async Task<int> RunAsync(StackOptions options, CancellationToken ct)
    {
        await using var stack = await DevelopmentStack.StartAsync(options, Console.WriteLine, ct);
        var ended = await Task.WhenAny([.. stack.Processes.Select(p => p.WaitForExitAsync(ct))]);
        await ended;
        stack.ThrowIfAnyExited();
        return 0;
    }
}
