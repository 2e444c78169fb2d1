using SnapshotFlow.Stack;
using SnapshotFlow.Stack.Processes;

namespace SnapshotFlow.Tests.Integration;

/// <summary>Whatever ends <c>up</c> or <c>demo</c>, none of the processes that it started is left.</summary>
public sealed class EndingTheStack : IAsyncLifetime
{
    private static readonly TimeSpan StartDeadline = TimeSpan.FromMinutes(3);
    private static readonly TimeSpan EndDeadline = TimeSpan.FromMinutes(1);

    private readonly StackProgram program = new();

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    public ValueTask InitializeAsync() => ValueTask.CompletedTask;

    public ValueTask DisposeAsync() => program.DisposeAsync();

    [Theory]
    [InlineData("up", "INT")]
    [InlineData("up", "TERM")]
    [InlineData("up", "KILL")]
    [InlineData("demo", "INT")]
    public async Task Nothing_is_left_after_a_signal(string command, string signal)
    {
        var stack = await program.StartAsync(command);
        var children = await WaitForChildrenAsync(stack);

        await StackProgram.SignalAsync(stack, signal);

        await StackProgram.WaitForEndAsync(stack);
        await Wait.UntilAsync($"{string.Join(", ", children)} to be gone", EndDeadline, _ => Task.FromResult(!children.Any(c => c.IsAlive())), Ct);
    }

    [Fact]
    public async Task Down_ends_what_up_started_and_a_second_up_says_where_the_first_one_is()
    {
        var first = await program.StartAsync("up");
        var children = await WaitForChildrenAsync(first);
        await program.WaitUntilUpAsync(first);

        var second = await program.StartAsync("up");
        var said = await StackProgram.WaitForEndAsync(second);
        var down = await program.StartAsync("down");
        await StackProgram.WaitForEndAsync(down);

        Assert.Equal(1, second.ExitCode);
        Assert.Contains($"process {first.Id}", said, StringComparison.Ordinal);
        Assert.Equal(0, down.ExitCode);
        await StackProgram.WaitForEndAsync(first);
        Assert.DoesNotContain(children, c => c.IsAlive());
    }

    [Fact]
    public async Task A_directory_with_foreign_files_is_refused_and_left_alone()
    {
        var letter = Path.Combine(program.State, "letter.txt");
        await File.WriteAllTextAsync(letter, "dear", Ct);

        var demo = await program.StartAsync("demo");
        var said = await StackProgram.WaitForEndAsync(demo);

        Assert.Equal(1, demo.ExitCode);
        Assert.Contains("--state", said, StringComparison.Ordinal);
        Assert.Equal("dear", await File.ReadAllTextAsync(letter, Ct));
    }

    /// <summary>Waits until Temporal, API, workers and PostgreSQL are there, and returns everything below the process.</summary>
    private static Task<List<ProcessIdentity>> WaitForChildrenAsync(ChildProcess stack) => Wait.ForAsync($"the processes of {stack.Id}", StartDeadline, _ =>
    {
        stack.ThrowIfExited();
        var all = Below(stack.Id);
        string[] programs = [.. all.Select(c => Name(c.Id))];
        return Task.FromResult(new[] { "postgres", "temporal-dev", "snapshotflow-ap", "snapshotflow-wo" }.All(programs.Contains) ? all : null);
    }, Ct);

    private static List<ProcessIdentity> Below(int parent)
    {
        var tree = Directory.EnumerateDirectories("/proc").Select(d => Path.GetFileName(d)!).Where(n => n.All(char.IsAsciiDigit)).Select(int.Parse)
            .Select(id => (Id: id, Parent: ParentOf(id))).ToList();
        List<int> found = [parent];
        for (var i = 0; i < found.Count; i++)
        {
            found.AddRange(tree.Where(p => p.Parent == found[i]).Select(p => p.Id));
        }
        return [.. found.Skip(1).Select(ProcessIdentity.Find).OfType<ProcessIdentity>()];
    }

    private static int ParentOf(int id) => Read($"/proc/{id}/status").Split('\n').FirstOrDefault(l => l.StartsWith("PPid:", StringComparison.Ordinal)) is { } line
        ? int.Parse(line[5..].Trim(), System.Globalization.CultureInfo.InvariantCulture)
        : 0;

    // The kernel keeps 15 characters of a program's name.
    private static string Name(int id) => Read($"/proc/{id}/comm").Trim();

    private static string Read(string path)
    {
        try
        {
            return File.ReadAllText(path);
        }
        catch (IOException)
        {
            // It ended while we looked.
            return "";
        }
    }
}
