using Google.Protobuf.Reflection;
using ServiceDescriptor = Google.Protobuf.Reflection.ServiceDescriptor;

namespace SnapshotFlow.TemporalDev.Rpc;

/// <summary>A service and what is served of it.</summary>
/// <param name="Name">Full name.</param>
/// <param name="Implementation">Has the served calls as public methods.</param>
/// <param name="File">The file that describes the service; making it is expensive, so it is asked for only when somebody wants the description.</param>
internal sealed record ServedService(string Name, object Implementation, Func<FileDescriptor> File)
{
    /// <summary>The names of the served calls: public methods that take a message and a call context.</summary>
    public static IReadOnlySet<string> CallsOf(System.Type implementation) => implementation.GetMethods()
        .Where(method => method.GetParameters() is [_, { ParameterType: var context }] && context == typeof(ServerCallContext))
        .Select(method => method.Name)
        .ToHashSet(StringComparer.Ordinal);

    /// <summary>
    /// The official description without the calls that answer UNIMPLEMENTED, so that tools which ask by server reflection see what works and nothing
    /// else.
    /// </summary>
    public ServiceDescriptor Describe()
    {
        var service = File().Services.Single(service => service.FullName == Name);
        return Describe(service, CallsOf(Implementation.GetType()));
    }

    /// <summary>A descriptor of the same service with only these methods.</summary>
    private static ServiceDescriptor Describe(ServiceDescriptor service, IReadOnlySet<string> served)
    {
        var file = service.File.ToProto();
        var methods = file.Service[service.Index].Method;
        foreach (var refused in methods.Where(method => !served.Contains(method.Name)).ToList())
        {
            methods.Remove(refused);
        }

        var files = new List<ByteString>();
        var seen = new HashSet<string>(StringComparer.Ordinal);
        foreach (var dependency in service.File.Dependencies)
        {
            AddWithDependencies(dependency, files, seen);
        }

        files.Add(file.ToByteString());
        return FileDescriptor.BuildFromByteStrings(files)[^1].Services[service.Index];
    }

    /// <summary>A file may only follow the files it imports.</summary>
    private static void AddWithDependencies(FileDescriptor file, List<ByteString> files, HashSet<string> seen)
    {
        if (!seen.Add(file.Name))
        {
            return;
        }

        foreach (var dependency in file.Dependencies)
        {
            AddWithDependencies(dependency, files, seen);
        }

        files.Add(file.SerializedData);
    }
}
