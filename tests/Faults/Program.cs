using System.CommandLine;
using System.Diagnostics;
using SnapshotFlow.Tests.Faults.Matrix;
using SnapshotFlow.Tests.Faults.Run;
using Xunit.Runner.InProc.SystemConsole;
using Xunit.Sdk;
using Xunit.v3;

// One stack, whose processes are killed.
[assembly: Parallelization(Mode = ParallelMode.None)]

// What two processors can hold at the same time without missing boundaries.
const int RunsAtOnce = 16;

if (args is not ["faults", .. var words])
{
    return await ConsoleRunner.Run(args);
}

var all = new Option<bool>("--all") { Description = "Every case; writes the table." };
var sample = new Option<bool>("--sample") { Description = "Some cases of every kind; what continuous integration runs. The default." };
var list = new Option<bool>("--list") { Description = "Only print the names." };
var seed = new Option<int>("--seed") { Description = "Draws sample and pairs.", DefaultValueFactory = _ => 1 };
var names = new Option<string[]>("--case") { Description = "Only the cases whose name is this, or has it in it.", AllowMultipleArgumentsPerToken = true };
var stop = new Option<int>("--stop") { Description = "Seconds for which a stopped process stays so.", DefaultValueFactory = _ => (int)Batch.Stop.TotalSeconds };
var stacks = new Option<int>("--stacks") { Description = "How many stacks at the same time.", DefaultValueFactory = _ => 1 };
var kept = new Option<string?>("--results") { Description = "File that keeps results: cases that held are not run again, and the table has them all.", HelpName = "FILE" };
var table = new Option<string?>("--table") { Description = "File to write the table to.", HelpName = "FILE" };
var command = new RootCommand("Kills, stops and breaks real processes at every boundary of every step, and checks what must hold afterwards.") { all, sample, list, seed, names, stop, stacks, kept, table };
command.SetAction(async (arguments, ct) =>
{
    var wanted = arguments.GetValue(names) ?? [];
    var matrix = arguments.GetValue(all) || wanted.Length > 0 ? FaultMatrix.All(arguments.GetValue(seed)) : FaultMatrix.Sample(arguments.GetValue(seed));
    List<FaultCase> cases = wanted.Length == 0 ? [.. matrix] : [.. wanted.SelectMany(w => matrix.Where(c => c.Name.Contains(w, StringComparison.Ordinal)) is var found && found.Any() ? found : [FaultCase.Parse(w)]).Distinct()];
    if (arguments.GetValue(list))
    {
        cases.ForEach(c => Console.WriteLine(c.Name));
        return 0;
    }

    var watch = Stopwatch.StartNew();
    var store = new KeptResults(arguments.GetValue(kept));
    var before = store.Read().Where(r => r.Held && cases.Any(c => c.Name == r.Name)).ToList();
    cases.RemoveAll(c => before.Any(b => b.Name == c.Name));
    Console.WriteLine($"{cases.Count} cases, seed {arguments.GetValue(seed)}");
    var said = $"./snapshotflow faults {(arguments.GetValue(all) ? "--all" : "--sample")} --seed {arguments.GetValue(seed)} --stacks {arguments.GetValue(stacks)}";
    var stopFor = TimeSpan.FromSeconds(arguments.GetValue(stop));
    var options = new MatrixRunOptions(arguments.GetValue(stacks), RunsAtOnce, stopFor, Console.WriteLine, soFar =>
    {
        store.Write([.. before, .. soFar]);
        if (arguments.GetValue(table) is { } file)
        {
            File.WriteAllText(file, MatrixReport.Markdown([.. before, .. soFar], said, stopFor, watch.Elapsed, TimeProvider.System.GetUtcNow()));
        }
    });
    var results = await new MatrixRun(options).RunAsync(cases, ct);
    if (wanted.Length > 0)
    {
        results.ToList().ForEach(r => Console.WriteLine($"{r.Name}: {r.Outcome}; {r.OverDeadlineMs:0} ms against the deadline; ended {r.SettledMs:0} ms after the fault"));
    }

    var failed = results.Count(r => !r.Held);
    Console.WriteLine($"{results.Count} cases in {watch.Elapsed:hh\\:mm\\:ss}, {failed} failed");
    return failed == 0 ? 0 : 1;
});
try
{
    return await command.Parse(words).InvokeAsync(new() { EnableDefaultExceptionHandler = false, ProcessTerminationTimeout = TimeSpan.FromMinutes(1) });
}
catch (FormatException e)
{
    await Console.Error.WriteLineAsync(e.Message);
    return 2;
}
